/* core/kantorctl/terminal.h -- a terminal that is set differently for a while, and is what it was again whatever ends
 * us */
#ifndef KANTOR_CORE_KANTORCTL_TERMINAL_H
#define KANTOR_CORE_KANTORCTL_TERMINAL_H

/* HIDDEN: what is typed is not shown; KEYS: each key comes at once, unseen. */
enum terminal_mode { TERMINAL_HIDDEN, TERMINAL_KEYS };

/* 0: standard input is no terminal, nothing was changed. SIGINT, SIGTERM and SIGHUP put it back and end the program. */
int terminal_set(enum terminal_mode mode);
void terminal_restore(void);

#endif
