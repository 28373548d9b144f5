"""Tables: a program's maps as bcc's users know them, one file for each family of map types."""
