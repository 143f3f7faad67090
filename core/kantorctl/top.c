/* core/kantorctl/top.c -- what the server does, each second */
#include "core/kantorctl/top.h"

#include <stdio.h>

int top_run(struct call *call, int once, int json)
{
    (void)call;
    (void)once;
    (void)json;
    (void)fprintf(stderr, "kantorctl: not yet\n");
    return 1;
}
