module glusterfarm.local/toolchain/pause

go 1.24.0
