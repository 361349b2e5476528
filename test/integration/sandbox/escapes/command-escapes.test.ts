import { SystemClock } from '../../../../src/lib/clock.ts';
import { probeCommand } from '../../../../src/sandbox/executors/command/probe-command.ts';
import { describeEscapes } from './escape-suite.ts';

const works = (await probeCommand(new SystemClock())).kind === 'works';
describeEscapes({ kind: 'command', works, packages: 'bubblewrap' });
