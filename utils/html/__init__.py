"""Pages of HTML that refer to nothing outside of themselves: templates and the style they share."""
