/* The least that a program under Dovecot's script-login can do: run the next one. */
#include <unistd.h>

int main(int argc, char *argv[])
{
	if (argc > 1)
		execv(argv[1], argv + 1);
	return 1;
}
