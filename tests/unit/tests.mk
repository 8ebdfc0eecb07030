# All of maps/ that writes files.
map_modules = maps/map maps/map_spare maps/map_type maps/replace maps/delta maps/identity maps/replaced maps/lmdb_file maps/map_lmdb maps/map_text \
	$(if $(filter 1,$(WITH_BDB)),maps/map_bdb) $(if $(filter 1,$(WITH_CDB)),maps/map_cdb)

# The modules each unit test links, without suffix: nothing else is in the program.
links_words = client/words
links_report = client/report client/words
links_postlogin_request = client/postlogin_request
links_ctl_text = client/ctl_text
links_ctl_sessions = client/ctl_sessions
links_address = dracd/address
links_netlink = dracd/netlink dracd/prefix_set dracd/address
links_router = dracd/router dracd/netlink dracd/prefix_set dracd/address
links_prefix_set = dracd/prefix_set dracd/address
links_guard = dracd/guard dracd/config_find dracd/prefix_set dracd/address dracd/block dracd/clock dracd/file client/words dracd/lease
links_guard_view = $(links_guard)
links_lease = dracd/lease dracd/clock dracd/address
links_lookup = dracd/policy dracd/socketmap dracd/plain dracd/lookup_key dracd/address
links_login = dracd/login dracd/address client/words client/report
links_block = dracd/block dracd/file dracd/prefix_set dracd/address dracd/clock client/words
links_table = dracd/table dracd/table_read dracd/table_end dracd/table_reporter dracd/table_room dracd/table_write dracd/table_login dracd/table_check dracd/lease dracd/clock dracd/address
links_state = dracd/state dracd/state_lock dracd/block dracd/log client/words $(links_table) $(links_config)
links_core_count = dracd/core_count dracd/log $(links_table)
links_table_reporter = $(links_table)
links_config_reporter = $(links_config)
links_table_renew = $(links_table)
links_map_users = dracd/map_users $(links_table)
links_config = dracd/config dracd/config_find dracd/option_value dracd/config_parse dracd/config_check dracd/config_map dracd/map_file dracd/option \
	dracd/file dracd/prefix_set dracd/address client/conf_text maps/access maps/refusals maps/key $(map_modules)
links_published = dracd/published dracd/log client/words $(links_config)
links_config_map = $(links_config)
links_config_memory = $(links_config)
links_table_check = $(links_table)
links_table_end = $(links_table)
links_table_room = $(links_table)
links_key = maps/key
links_access = maps/access maps/refusals maps/key
links_replace = maps/replace
links_map_type = $(map_modules)
links_map = $(map_modules)
links_map_expect = dracd/map_expect
links_drac_row = dracd/drac_row dracd/address dracd/clock
links_map_file = $(map_modules)
links_map_formats = $(map_modules)
links_map_lmdb = $(map_modules)
links_map_lmdb_replaced = $(map_modules)
links_map_rows = dracd/map_rows dracd/map_file dracd/address maps/access maps/refusals maps/key $(map_modules)
links_map_run = dracd/map_run dracd/map_fallback dracd/map_verify dracd/map_check dracd/map_static dracd/map_users dracd/map_rows \
	dracd/map_expect dracd/map_reader dracd/map_child $(links_guard) $(links_table) $(links_config)
links_map_worker = dracd/map_worker $(links_map_run)
links_rpc_call = rpc/call rpc/drac_xdr
links_rpc_record = rpc/record
links_rpc_allow = rpc/allow rpc/prefix
links_rpc_quota = rpc/quota rpc/duplicates
links_rpc_settings = rpc/settings rpc/settings_load rpc/prefix client/conf_text
links_map_turns = dracd/map_worker dracd/clock

# What needs Berkeley DB or cdb: left out by WITH_BDB=0, WITH_CDB=0.
bdb_tests := map map_file map_rows config_map
cdb_tests := config_map
