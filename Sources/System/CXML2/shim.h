#pragma once
// libxml2's ICU headers clash with Foundation's own copy; nothing here needs them.
#include <libxml/xmlversion.h>
#undef LIBXML_ICU_ENABLED
#include <libxml/c14n.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

// xmlFree is a variable that holds a function, which Swift does not read.
static inline void gh_xml_free(void *memory) { xmlFree(memory); }
