"""A server of the Model Context Protocol: the questions of the command line as tools of an agent."""
