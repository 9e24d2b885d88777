import type { Finding } from './finding';
import type { Resource, TemplateView } from './template-view';

/** What a rule says of one resource. */
export interface Complaint {
  readonly resource: Resource;
  readonly message: string;
}

export interface Rule<Id extends string = string> {
  readonly id: Id;
  readonly severity: Finding['severity'];
  /** What goes wrong, in one sentence, for lists of rules. */
  readonly about: string;
  /** Looks at a whole template. It says nothing of what it cannot read: an intrinsic function may be anything. */
  readonly check: (template: TemplateView) => Iterable<Complaint>;
}

/** A rule about the resources of one type, each by itself. */
export function ruleAbout<Id extends string>(
  id: Id,
  type: string,
  about: string,
  say: (resource: Resource, template: TemplateView) => string | undefined,
  severity: Finding['severity'] = 'error',
): Rule<Id> {
  return {
    id,
    severity,
    about,
    *check(template) {
      for (const resource of template.all(type)) {
        const message = say(resource, template);
        if (message !== undefined) yield { resource, message };
      }
    },
  };
}
