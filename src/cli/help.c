/* What --help says. The flags come from their table; here is what it cannot know. */
#include "cli/command.h"

#include <config.h> /* the build's, not cli/config.h */

const char *sg_version(void)
{
    return PACKAGE_VERSION;
}

static const char overview[] = "stepgate stands where the Inngest server stands: it receives events, calls the functions that must run, "
                               "step by step, and loses nothing.\n"
                               "\n"
                               "Usage: stepgate COMMAND [flags]\n"
                               "\n"
                               "  dev      a server for development: no keys, finds apps by itself, data in ./.stepgate\n"
                               "  start    a server for production: needs a signing key and an event key\n"
                               "  send     sends an event:                 stepgate send shop/order.placed '{\"id\":7}' --follow\n"
                               "  run      shows a run and its steps:      stepgate run 01J... --follow\n"
                               "  why      tells what a run waits for:     stepgate why 01J...\n"
                               "  doctor   tells what is wrong with a running stepgate and its apps; exit code 0: nothing\n"
                               "  cel      evaluates an expression:        stepgate cel 'event.data.n > 3' --event '{\"data\":{\"n\":4}}'\n"
                               "  version  prints the version\n"
                               "  help     this text; stepgate COMMAND --help: the flags of a command\n";

static const char serve_sources[] =
    "\n"
    "Every flag can also be set in the environment, as STEPGATE_NAME or INNGEST_NAME, and in a config file, under its own name:\n"
    "\n"
    "  sdk-url:\n"
    "    - http://localhost:3000/api/inngest\n"
    "  no-discovery: true\n"
    "  retry-interval: 1\n"
    "\n"
    "A flag beats the environment, which beats the file, which beats the default.\n"
    "\n"
    "Signals: SIGTERM lets calls in flight finish (--shutdown-timeout) and exits with 0; SIGINT does the same for start, and for dev ends "
    "at\n"
    "once. Killing it in any way loses nothing that was acknowledged.\n";

static const char dev_examples[] = "\n"
                                   "Examples:\n"
                                   "  stepgate dev                                           find apps on the usual local ports\n"
                                   "  stepgate dev -u http://localhost:8787/api/inngest      a Worker run by wrangler\n"
                                   "  stepgate dev --no-discovery --no-poll --port 8288 --retry-interval 1\n";

static const char start_examples[] =
    "\n"
    "Example:\n"
    "  stepgate start --signing-key $(openssl rand -hex 32) --event-key $(openssl rand -hex 16) \\\n"
    "      --sdk-url http://app:3000/api/inngest\n"
    "  and in the app: INNGEST_DEV=0 INNGEST_BASE_URL=http://stepgate:8288 INNGEST_SIGNING_KEY=... INNGEST_EVENT_KEY=...\n";

void sg_help_print(int command, FILE *out)
{
    switch (command) {
    case 0:
        fputs(overview, out);
        return;
    case SG_COMMAND_DEV:
        fputs("Usage: stepgate dev [flags]\n\nA server for development.\n", out);
        fputs(dev_examples, out);
        break;
    case SG_COMMAND_START:
        fputs("Usage: stepgate start --signing-key KEY --event-key KEY [flags]\n\nA server for production.\n", out);
        fputs(start_examples, out);
        break;
    case SG_COMMAND_SEND:
        fputs(
            "Usage: stepgate send NAME [DATA] [flags]\n\nSends an event with the JSON object DATA ({} if absent, - for standard input).\n",
            out);
        break;
    case SG_COMMAND_RUN:
        fputs("Usage: stepgate run ID [flags]\n\nShows a run and its steps.\n", out);
        break;
    case SG_COMMAND_WHY:
        fputs("Usage: stepgate why ID [flags]\n\nTells what holds a run and what will move it next, in words; --json for programs.\n", out);
        break;
    case SG_COMMAND_DOCTOR:
        fputs(
            "Usage: stepgate doctor [URL] [flags]\n\nAsks a running stepgate and each of its apps how they are: mode, keys (fingerprints), "
            "reachability, sync, clock,\nversions, data directory; each finding with its remedy. Exit code 0: well; 1: see what it "
            "prints.\n",
            out);
        break;
    default:
        fputs("Usage: stepgate cel EXPRESSION [flags]\n       stepgate cel --vectors FILE\n\nEvaluates an expression as triggers and waits "
              "do.\n",
              out);
    }
    fputc('\n', out);
    sg_options_print((enum sg_command)command, out);
    if (command == SG_COMMAND_DEV || command == SG_COMMAND_START)
        fputs(serve_sources, out);
}
