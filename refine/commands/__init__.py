"""The commands of `refine`, one file each: a typer function that reads its options, calls the library and prints."""
