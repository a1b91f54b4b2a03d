"""Evaluation: labelled data, draws, baselines, metrics, saved results, tables. Labels are read nowhere else."""
