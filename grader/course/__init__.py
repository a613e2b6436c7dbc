"""The parts that authors of assignments edit."""
