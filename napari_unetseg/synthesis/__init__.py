"""Synthetic images with exact targets, each unlike the one before: what pretrained models learn."""
