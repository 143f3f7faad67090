/* core/kantorctl/receiver.h -- messages from the server to files: mbox, Maildir++, folders of .eml */
#ifndef KANTOR_CORE_KANTORCTL_RECEIVER_H
#define KANTOR_CORE_KANTORCTL_RECEIVER_H

#include "core/kantorctl/call.h"

enum receiver_form { RECEIVER_MBOX, RECEIVER_MAILDIR, RECEIVER_EML, RECEIVER_ACCOUNT };

/* Takes the frames of an export and writes `path`, which must not exist (a folder may be empty). The status of the
 * whole; a file that is not whole is said. */
int receiver_run(struct call *call, enum receiver_form form, const char *path);

#endif
