/* mail/smtp/smtp.h -- SMTP in: port 25, submission (587, 465) and LMTP are three kinds of one protocol */
#ifndef KANTOR_MAIL_SMTP_SMTP_H
#define KANTOR_MAIL_SMTP_SMTP_H

#include "core/net/connection.h"

/* service->kind */
enum smtp_kind { SMTP_MX, SMTP_SUBMISSION, SMTP_LMTP };

extern const struct protocol smtp_protocol;

#endif
