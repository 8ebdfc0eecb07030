# The programs of the benchmarks, and the product's modules that each links.
bench_clients = client/report client/words
bench_echo_loop = dracd/server dracd/server_limit dracd/connection dracd/connection_file dracd/abandon dracd/log dracd/clock dracd/address
bench_echo_epoll =
bench_bare_table = dracd/table dracd/table_read dracd/table_end dracd/table_reporter dracd/table_room dracd/table_write dracd/lease dracd/clock dracd/address
bench_table_size =
bench_fill_table = dracd/table dracd/table_read dracd/table_end dracd/table_reporter dracd/table_room dracd/table_write dracd/table_login dracd/lease dracd/clock dracd/address
bench_people =
bench_map_cost = $(patsubst %.c,%,$(filter-out dracd/main.c,$(daemon_src)) $(maps_src))
bench_names := clients echo_loop echo_epoll bare_table table_size fill_table map_cost people
