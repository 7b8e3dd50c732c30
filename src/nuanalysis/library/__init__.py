"""From a name to an object: samples, templates, catalogues, hypotheses."""
