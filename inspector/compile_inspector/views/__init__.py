"""From tables to what people see: text, HTML, widgets. Views compute nothing that the tables do not say."""
