"""What is learned, and by what: tasks with their rows, and models that read them."""
