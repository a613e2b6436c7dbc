"""Reports for others to read. Each module turns `Report`s into bytes: same reports, same bytes."""
