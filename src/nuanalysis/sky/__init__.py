"""What might shine: spectra, templates and catalogues.  One file per template or list."""
