enum DatapathPlaceholder {}
