import type { Logger } from 'pino';
import type { LogLevel } from '../spec/environment';

/** The level of a logger and of all loggers made from it: pino gives each a level of its own when it is made. */
export class SharedLogLevel {
  /** Weak: models come and go, and their loggers with them. */
  private children: WeakRef<Logger>[] = [];

  /** To be made before the loggers that are to follow. */
  constructor(private readonly log: Logger) {
    log.onChild = (child: Logger) => {
      this.children = this.children.filter((reference) => reference.deref() !== undefined);
      this.children.push(new WeakRef(child));
    };
  }

  get level(): LogLevel {
    return this.log.level as LogLevel;
  }

  set level(level: LogLevel) {
    this.log.level = level;
    for (const reference of this.children) {
      const child = reference.deref();
      if (child !== undefined) child.level = level;
    }
  }
}
