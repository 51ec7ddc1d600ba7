# What is frozen into the virtual chip's firmware: the port's start, flash and file system, and asyncio.
module("_boot.py", base_path="$(MPY_DIR)/ports/esp8266/modules", opt=3)
module("flashbdev.py", base_path="$(MPY_DIR)/ports/esp8266/modules", opt=3)
module("inisetup.py", base_path="$(MPY_DIR)/ports/esp8266/modules", opt=3)
include("$(MPY_DIR)/extmod/asyncio")
