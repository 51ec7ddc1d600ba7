"""Real loopback servers for the tests, which misbehave on request.

`wire` has the bytes, `steps` what a scripted server can do, `raw` the server that does it, and `scenarios` the table
of all scripts with what the client must make of them. The well-behaved server is `echo_server` of tools/.
"""
