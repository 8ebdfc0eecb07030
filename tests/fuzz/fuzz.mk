# The modules each fuzz target links.
fuzz_lookup = dracd/lookup dracd/lookup_key dracd/address client/words tests/fuzz/connection
fuzz_links_login = dracd/login dracd/address client/words
fuzz_links_policy = dracd/policy $(fuzz_lookup)
fuzz_links_socketmap = dracd/socketmap $(fuzz_lookup)
fuzz_links_plain = dracd/plain $(fuzz_lookup)
fuzz_links_record = dracd/lease dracd/address dracd/clock
fuzz_links_address = dracd/address dracd/lookup_key rpc/prefix
fuzz_links_postlogin = client/postlogin_request client/postlogin_login client/postlogin_message client/report client/words dracd/login \
	dracd/address
fuzz_libs_postlogin = -Wl,--wrap=write -Wl,--wrap=poll
fuzz_links_access = maps/access maps/refusals maps/key
fuzz_links_config = dracd/config dracd/config_find dracd/option_value dracd/config_parse dracd/config_check dracd/config_map dracd/map_file dracd/option \
	dracd/file dracd/prefix_set dracd/address client/conf_text maps/access maps/refusals maps/key $(map_modules)
fuzz_links_blocks = dracd/block dracd/file dracd/prefix_set dracd/address dracd/clock client/words
fuzz_links_sessions = client/ctl_sessions
fuzz_libs_config = -lconfuse -llmdb $(maps_libs) $(foreach call,geteuid getegid getgroups getgrnam stat,-Wl,--wrap=$(call))
fuzz_libs_record = -lsystemd
fuzz_libs_blocks = -lsystemd
fuzz_links_rpc = rpc/call rpc/record $B/rpc/drac_xdr
fuzz_libs_rpc = -ltirpc
fuzz_links_import = dracd/map_child dracd/drac_row dracd/address dracd/clock $(map_modules)
fuzz_libs_import = -llmdb $(maps_libs) -lsystemd
fuzz_core = dracd/abandon dracd/answer dracd/login dracd/address dracd/clock dracd/guard dracd/prefix_set dracd/block dracd/file dracd/lease \
	client/words tests/fuzz/connection tests/fuzz/core
fuzz_core_libs = -lsystemd -Wl,--wrap=clock_now -Wl,--wrap=send
fuzz_links_report = dracd/report $(fuzz_core)
fuzz_libs_report = $(fuzz_core_libs)
fuzz_links_control = dracd/control dracd/control_list dracd/control_maps dracd/control_status dracd/control_import maps/key \
	$(fuzz_core) tests/fuzz/daemon
fuzz_libs_control = $(fuzz_core_libs)
fuzz_links_answer = client/report client/ctl_control client/words
fuzz_libs_answer = $(foreach call,socket connect send sendmsg recv poll close clock_gettime,-Wl,--wrap=$(call))
fuzz_links_reply = client/drac_rpc $B/rpc/drac_xdr
fuzz_libs_reply = -ltirpc
fuzz_links_allow = rpc/allow rpc/prefix
fuzz_links_settings = rpc/settings rpc/settings_load rpc/prefix client/conf_text
fuzz_libs_settings = -lconfuse
