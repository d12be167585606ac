/** A command that was given wrongly: exit code 2, and a pointer to its help. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Exit codes of the command line. */
export const EXIT = {
  done: 0,
  failed: 1,
  wrongUse: 2,
  /** 128 + SIGINT, as shells report a program that Ctrl-C ended. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;
