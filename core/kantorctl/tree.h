/* core/kantorctl/tree.h -- names of mailboxes as names of files and back, and the index beside an exported mailbox */
#ifndef KANTOR_CORE_KANTORCTL_TREE_H
#define KANTOR_CORE_KANTORCTL_TREE_H

#include <stdio.h>

#include "core/kantorctl/sender.h"

/* Maildir++: ".Work.Old" is Work/Old, levels in modified UTF-7 (a dot in a level as "&AC4-"); what is no modified UTF-7
 * is taken as it stands. In the arena. */
struct slice tree_from_maildir(struct slice name, struct arena *a);
struct slice tree_to_maildir(struct slice path, struct arena *a); /* "" for INBOX */
/* A level as a folder's name: no leading dot, no NUL. */
struct slice tree_to_folder(struct slice path, struct arena *a);

/* kantor-index.jsonl: a first line about the mailbox, then a line for each message in the order of its files: {"file",
 * "uid", "received", "flags"}. */
#define TREE_INDEX "kantor-index.jsonl"

struct tree_index {
    FILE *file; /* NULL: there is none */
    char *line;
    size_t size;
    int exact;
    char *pending; /* name of the file that `line` is about */
};
void tree_index_open(int folder, struct tree_index *index);
void tree_index_close(struct tree_index *index);
/* What the index says about this file; false: nothing. Files are asked for in its order. Flags in the arena. */
bool tree_index_find(struct tree_index *index, const char *file, struct arena *a, struct about *about);

/* The names in a folder that `wanted` likes, without those that begin with a dot (or, dotted, only those and not . and
 * ..), sorted. ERROR_IO. */
struct tree_names {
    char **all;
    size_t n, room;
};
struct error tree_names_read(int folder, bool (*wanted)(const char *name), struct tree_names *names);
struct error tree_names_dotted(int folder, bool (*wanted)(const char *name), struct tree_names *names);
void tree_names_free(struct tree_names *names);

/* One file as one message; what cannot be read is skipped with its reason. */
struct error tree_send_file(struct sender *s, int folder, const char *name, const char *label, enum sender_form form,
                            struct about *about, int use_time);

#endif
