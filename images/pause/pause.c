/* Holds a pod's namespaces open: waits, reaps orphans of a shared process namespace, ends when told to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
static void on_stop(int signal) { (void)signal; _exit(0); }

int main(void)
{
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
	struct sigaction stop = { .sa_handler = on_stop };
	sigaction(SIGCHLD, &child, 0);
	sigaction(SIGTERM, &stop, 0);
	sigaction(SIGINT, &stop, 0);
	for (;;) pause();
}
