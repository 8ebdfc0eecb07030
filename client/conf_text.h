/*
 * The text of drac.conf before libconfuse sees it: what it shall not see is overwritten
 * with spaces, so that every line keeps its number.
 *
 * dracd and drac-rpcd read the same files, each with options of its own; the section of
 * the other is not its business.
 */
#ifndef CLIENT_CONF_TEXT_H
#define CLIENT_CONF_TEXT_H

#include <stdbool.h>

/* The section of drac.conf that is drac-rpcd's alone. */
#define CONF_RPC_SECTION "rpc"

/* Overwrites what is between the two, but for line ends. */
void conf_blank(char *from, const char *to);

/* Overwrites comments outside quotes.  False if one has no end. */
bool conf_blank_comments(char *text);

/* Past the statement whose name ends at at: "= value", or a section. */
char *conf_skip_statement(char *at);

/* True if octet may stand in the name of an option. */
bool conf_is_name(char octet);

/* Overwrites the sections of that name (keep false), or all else (keep true), of a text
 * without comments.  False if such a section has no end. */
bool conf_select_section(char *text, const char *name, bool keep)
	__attribute__((warn_unused_result));

#endif
