"""What a person looks at: the page, its map and table, the contact sheet, the words."""
