import { createJobScenario, JOB_DEFAULTS } from './job-parts.ts';

export const silentScenario = createJobScenario({
  name: 'silent',
  question: 'A third of the providers takes leases and says nothing more: are honest jobs done?',
  parameters: { ...JOB_DEFAULTS, behaviour: 'silent' },
  thresholds: [
    {
      measure: 'capturedShareSecondHalf',
      rule: 'at-most',
      bound: 0.05,
      meaning: 'attempts that go to them in the second half',
    },
  ],
});

export const lyingCapabilitiesScenario = createJobScenario({
  name: 'lying-capabilities',
  question: 'A third of the providers declares what it cannot do, and fails every attempt: are honest jobs done?',
  parameters: { ...JOB_DEFAULTS, behaviour: 'lying' },
  thresholds: [
    {
      measure: 'capturedShareSecondHalf',
      rule: 'at-most',
      bound: 0.05,
      meaning: 'attempts that go to them in the second half',
    },
  ],
});

export const colludingObserversScenario = createJobScenario({
  name: 'colluding-observers',
  question:
    'A third praises each other and slanders all honest providers, as often as counts, and serves nobody: are honest jobs done?',
  parameters: { ...JOB_DEFAULTS, behaviour: 'silent', isColluding: true },
});

export const whitewashersScenario = createJobScenario({
  name: 'whitewashers',
  question: 'A third of the providers serves nobody and comes back under a new name every epoch: are honest jobs done?',
  parameters: { ...JOB_DEFAULTS, behaviour: 'silent', isWhitewashing: true },
  alsoTold: { measure: 'doneShareIfTheyAreCheaper', changes: { prices: { honest: '10', adversary: '9' } } },
});

export const onOffScenario = createJobScenario({
  name: 'on-off',
  question:
    'A third of the providers serves for six epochs and then nobody for three, again and again: are honest jobs done?',
  parameters: { ...JOB_DEFAULTS, behaviour: 'on-off' },
});
