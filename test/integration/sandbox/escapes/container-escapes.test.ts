import { SystemClock } from '../../../../src/lib/clock.ts';
import { probeContainer } from '../../../../src/sandbox/executors/container/probe-container.ts';
import { describeEscapes } from './escape-suite.ts';

const works = (await probeContainer(new SystemClock(), 'crun')).kind === 'works';
describeEscapes({ kind: 'container', works, packages: 'bubblewrap crun' });
