import { describe, expect, it } from 'vitest';
import { resolveHome, resolveSocketPath } from '../../../src/config/paths.ts';

describe('the data folder', () => {
  it('is the flag, the variable, the XDG folder, or the one below the home folder', () => {
    const all = { FOGPROOF_HOME: '/fog', XDG_DATA_HOME: '/xdg', HOME: '/home/me' };
    expect(resolveHome(all, '/flag')).toBe('/flag');
    expect(resolveHome(all)).toBe('/fog');
    expect(resolveHome({ ...all, FOGPROOF_HOME: '' })).toBe('/xdg/fogproof');
    expect(resolveHome({ HOME: '/home/me', XDG_DATA_HOME: 'relative' })).toBe('/home/me/.local/share/fogproof');
    expect(resolveHome({ FOGPROOF_HOME: 'here' })).toBe(`${process.cwd()}/here`);
    expect(() => resolveHome({})).toThrow(expect.objectContaining({ code: 'CONFIG_NO_HOME' }));
  });
});

describe('the control socket', () => {
  const environment = { HOME: '/home/me', XDG_RUNTIME_DIR: '/run/user/1' };

  it('is in the runtime folder for the default data folder, else in the data folder', () => {
    expect(resolveSocketPath(environment, resolveHome(environment))).toBe('/run/user/1/fogproof/node.sock');
    expect(resolveSocketPath(environment, '/srv/fog')).toBe('/srv/fog/node.sock');
    expect(resolveSocketPath({ HOME: '/home/me' }, '/home/me/.local/share/fogproof')).toBe(
      '/home/me/.local/share/fogproof/node.sock',
    );
    expect(resolveSocketPath({ ...environment, FOGPROOF_SOCKET: '/s' }, '/srv/fog')).toBe('/s');
    expect(resolveSocketPath({ ...environment, FOGPROOF_SOCKET: '/s' }, '/srv/fog', '/flag')).toBe('/flag');
    expect(resolveSocketPath({}, '/srv/fog')).toBe('/srv/fog/node.sock');
  });

  it('is refused when its path does not fit, counted in bytes', () => {
    const fitting = `/${'a'.repeat(102)}`;
    expect(resolveSocketPath({}, '/h', fitting)).toBe(fitting);
    expect(() => resolveSocketPath({}, '/h', `/${'a'.repeat(107)}`)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_SOCKET_PATH_TOO_LONG',
        hint: expect.stringContaining('FOGPROOF_SOCKET'),
      }),
    );
    expect(() => resolveSocketPath({}, '/h', `/${'é'.repeat(60)}`)).toThrow(
      expect.objectContaining({ code: 'CONFIG_SOCKET_PATH_TOO_LONG' }),
    );
  });
});
