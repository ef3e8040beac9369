"""The tasks: their definitions, and the features, labels and folds that these make of the tables."""
