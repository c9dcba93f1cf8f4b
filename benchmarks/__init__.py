"""Speed and memory of what has to be fast; each module measures one subject and its peer."""
