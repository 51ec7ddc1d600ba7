# The same with the client frozen in, as in a firmware of one's own.
include("manifest.py")
include("$(CLIENT_DIR)/manifest.py")
