"""The staff's side: authoring, isolation, hidden checks, reports. Students never get this."""
