/* core/kantord/control_path.c -- where the control socket is: for the server and for kantorctl */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/kantord/control.h"

void control_path(const struct config *c, char *out, size_t size)
{
    if (c->control_socket[0] && strcmp(c->control_socket, "/") != 0)
        (void)snprintf(out, size, "%s", c->control_socket);
    else
        (void)snprintf(out, size, "%s/control.sock", c->data_dir);
}

/* A path may be longer than the 107 bytes of sun_path: then through the folder's descriptor. */
struct error control_address(const char *path, struct sockaddr_un *out, int *folder)
{
    *folder = -1;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof out->sun_path) {
        memcpy(out->sun_path, path, strlen(path) + 1);
        return OK;
    }
    const char *slash = strrchr(path, '/');
    char parent[4096];
    if (!slash || (size_t)(slash - path) >= sizeof parent || strlen(slash) > 64)
        return error_make(ERROR_INVALID, "the path of the control socket is too long");
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0)
        return error_make(ERROR_IO, "the folder of the control socket cannot be opened");
    (void)snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d%s", *folder, slash);
    return OK;
}
