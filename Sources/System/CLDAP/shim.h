#pragma once
#include <ldap.h>
#include <sys/time.h>

// libldap's setter takes an untyped pointer: one function a type.

static inline int gh_ldap_set_number(LDAP *session, int option, int value) {
    return ldap_set_option(session, option, &value);
}

static inline int gh_ldap_set_text(LDAP *session, int option, const char *value) {
    return ldap_set_option(session, option, value);
}

static inline int gh_ldap_set_seconds(LDAP *session, int option, long seconds) {
    struct timeval time = {seconds, 0};
    return ldap_set_option(session, option, &time);
}

static inline int gh_ldap_set_off(LDAP *session, int option) {
    return ldap_set_option(session, option, LDAP_OPT_OFF);
}

// The text that the server gave to the last result, to be freed with ldap_memfree; NULL for none.
static inline char *gh_ldap_diagnostic(LDAP *session) {
    char *text = NULL;
    ldap_get_option(session, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    return text;
}

// The text is copied.
static inline int gh_ldap_bind(LDAP *session, const char *name, const char *password, size_t count, long seconds,
                               int *code, char **diagnostic) {
    struct berval credentials = {count, (char *)password};
    int number = 0;
    int status = ldap_sasl_bind(session, name, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, &number);
    if (status != LDAP_SUCCESS) return status;
    struct timeval limit = {seconds, 0};
    LDAPMessage *message = NULL;
    status = ldap_result(session, number, LDAP_MSG_ALL, &limit, &message);
    if (status == 0) return LDAP_TIMEOUT;
    if (status < 0) {
        int error = LDAP_SERVER_DOWN;
        ldap_get_option(session, LDAP_OPT_RESULT_CODE, &error);
        return error;
    }
    return ldap_parse_result(session, message, code, NULL, diagnostic, NULL, NULL, 1);
}
