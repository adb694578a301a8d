"""Commands for the cache of builds."""
