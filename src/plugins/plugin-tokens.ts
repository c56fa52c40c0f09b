/** What the plugin catalogue is given from outside. */
export const INTAKE_PORTS = Symbol('IntakePorts');
export const PLUGIN_PATHS = Symbol('PluginPaths');
