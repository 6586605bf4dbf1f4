"""What a node counts, times and writes down about itself and the commands it ran."""
