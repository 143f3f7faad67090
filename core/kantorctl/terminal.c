/* core/kantorctl/terminal.c -- settings of the terminal */
#include "core/kantorctl/terminal.h"

#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t changed;

/* tcsetattr and _exit may be called here (signal-safety(7)). */
static void put_back(int number)
{
    if (changed)
        (void)tcsetattr(0, TCSAFLUSH, &before);
    _exit(128 + number);
}

int terminal_set(enum terminal_mode mode)
{
    struct sigaction action = {.sa_handler = put_back};
    if (tcgetattr(0, &before) != 0)
        return 0;
    struct termios wanted = before;
    wanted.c_lflag &= ~(tcflag_t)(mode == TERMINAL_KEYS ? ICANON | ECHO : ECHO);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    changed = 1;
    return tcsetattr(0, mode == TERMINAL_KEYS ? TCSANOW : TCSAFLUSH, &wanted) == 0;
}

void terminal_restore(void)
{
    if (changed)
        (void)tcsetattr(0, TCSAFLUSH, &before);
    changed = 0;
}
