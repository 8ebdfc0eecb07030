# The modules each fuzz target links.
fuzz_links_login = dracd/login dracd/address client/words
fuzz_links_policy = dracd/policy dracd/address
fuzz_links_socketmap = dracd/socketmap dracd/lookup_key dracd/address
fuzz_links_plain = dracd/plain dracd/lookup_key dracd/address
fuzz_links_record = dracd/lease dracd/address dracd/clock
fuzz_links_address = dracd/address
fuzz_links_postlogin = client/postlogin_request
fuzz_links_access = maps/access maps/refusals maps/key
fuzz_links_config = dracd/config dracd/config_parse dracd/config_check dracd/config_map dracd/map_file dracd/option \
	dracd/file dracd/prefix_set dracd/address client/conf_text maps/access maps/refusals maps/key $(map_modules)
fuzz_links_blocks = dracd/block dracd/file dracd/prefix_set dracd/address dracd/clock client/words
fuzz_links_sessions = client/ctl_sessions
fuzz_libs_config = -lconfuse -llmdb $(maps_libs)
fuzz_libs_record = -lsystemd
fuzz_libs_blocks = -lsystemd
fuzz_links_rpc = rpc/call rpc/record $B/rpc/drac_xdr
fuzz_libs_rpc = -ltirpc
fuzz_links_import = dracd/map_child dracd/drac_row dracd/address dracd/clock $(map_modules)
fuzz_libs_import = -llmdb $(maps_libs) -lsystemd
