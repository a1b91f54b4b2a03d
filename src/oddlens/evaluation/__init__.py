"""What measuring needs: labelled data, draws, rivals, metrics, kept rows, tables. Labels are read here alone."""
