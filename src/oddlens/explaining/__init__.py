"""Why an image is strange: causes, heat maps, groups, duplicates, the images it is compared with."""
