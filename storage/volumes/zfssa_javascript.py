r"""The part of each program for the appliance that is the same every time: its language, and how we read the guides.

Our reading, where guides differ or are silent: iSCSI is `configuration san iscsi targets` or `configuration san
targets iscsi` by version, so both are tried; a list is set as words in quotes with commas between; `get` tells sizes
as numbers of bytes and lists as an array or a text with commas; a snapshot's clones are found by the `origin` of
every LUN, whose text ends in PROJECT/SHARE@SNAPSHOT; a head without the pool does not offer it as a choice. Messages
of errors are nowhere listed, so a program looks for itself whether a name is there before it makes, selects or
destroys it.
"""

HELPERS = r"""
function line() {
  var text = 'twinboot', i, value;
  for (i = 0; i < arguments.length; i++) {
    value = arguments[i];
    if (value !== null && typeof value == 'object' && typeof value.join == 'function') value = value.join(',');
    text += '\t' + encodeURIComponent('' + value);
  }
  printf('%s\n', text);
}
function fail(code, message) { throw {code: code, message: message}; }
function has(names, name) {
  for (var i = 0; i < names.length; i++) if (names[i] == name) return true;
  return false;
}
function maybe(name) { try { return get(name); } catch (error) { return ''; } }
function into(name) {
  if (!has(list(), name)) fail('NOT_FOUND', name + ': it is not there');
  run('select ' + name);
}
function fresh(name) { if (has(list(), name)) fail('EXISTS', name + ': it is there already'); }
function put(name, values) { run('set ' + name + '="' + values.join('","') + '"'); }
function pool() {
  var there = true;
  run('cd /');
  run('shares');
  try { there = has(choices('pool'), POOL); } catch (error) { there = true; }
  if (there) try { put('pool', [POOL]); } catch (error) { there = false; }
  return there;
}
function san(kind, more) {
  run('cd /');
  try { run('configuration san iscsi ' + kind); }
  catch (error) { run('cd /'); run('configuration san ' + kind + ' iscsi'); }
  if (more) run(more);
}
function pick(name, value) {
  var names = list(), i;
  for (i = 0; i < names.length; i++) {
    run('select ' + names[i]);
    if (get(name) == value) return names[i];
    run('cd ..');
  }
  return '';
}
function drop(name, value) {
  if (!pick(name, value)) fail('NOT_FOUND', value + ': it is not there');
  run('confirm destroy');
}
function once(name, value) { if (pick(name, value)) fail('EXISTS', value + ': it is there already'); }
function eachLun(act) {
  var projects, shares, i, j, lun;
  if (!pool()) fail('MOVED', POOL);
  projects = list();
  for (i = 0; i < projects.length; i++) {
    run('select ' + projects[i]);
    act(projects[i]);
    shares = list();
    for (j = 0; j < shares.length; j++) {
      run('select ' + shares[j]);
      lun = true;
      try { get('volsize'); } catch (error) { lun = false; }
      if (lun) act(projects[i], shares[j]);
      run('cd ..');
    }
    run('cd ..');
  }
}
function snapshots() {
  run('snapshots');
  var names = list();
  run('cd ..');
  return names;
}
function symbol(code) {
  try { if (code == EAKSH_ENTITY_NOTFOUND) return 'EAKSH_ENTITY_NOTFOUND'; } catch (error) {}
  return code;
}
"""

FRAME = """script
/* {what} */
var POOL = "{pool}";
{helpers}
try {{
  if (!pool()) fail('MOVED', POOL);
{body}
}} catch (problem) {{
  try {{ run('abort'); }} catch (error) {{}}
  var stays = false;
  try {{ stays = pool(); }} catch (error) {{}}
  if (stays) line('ERROR', symbol(problem.code), problem.message || problem);
  else line('ERROR', 'MOVED', POOL);
}}
line('END');
.
"""

FACTS = """
eachLun(function (project, share) {
  if (!share) {
    line('PROJECT', project, maybe('space_total'), maybe('space_available'));
    return;
  }
  line('LUN', project, share, get('volsize'), maybe('space_data'), maybe('space_snapshots'), maybe('origin'),
    get('targetgroup'), get('initiatorgroup'));
  var names = snapshots(), i;
  for (i = 0; i < names.length; i++) line('SNAPSHOT', project, share, names[i]);
});
function each(word, properties) {
  var names = list(), i, j, values;
  for (i = 0; i < names.length; i++) {
    run('select ' + names[i]);
    values = [];
    for (j = 0; j < properties.length; j++) values.push(maybe(properties[j]));
    line(word, values[0], values[1], values[2]);
    run('cd ..');
  }
}
san('targets'); each('TARGET', ['iqn', 'alias', 'auth']);
san('targets', 'groups'); each('target', ['name', 'targets']);
san('initiators'); each('INITIATOR', ['initiator', 'chapuser']);
san('initiators', 'groups'); each('initiator', ['name', 'initiators']);
"""

NO_CLONES = """
var wanted = {origin};
eachLun(function (project, share) {{
  if (!share) return;
  var origin = '' + maybe('origin'), start = origin.length - wanted.length;
  var edge = start <= 0 || origin.charAt(start - 1) == '/' || origin.charAt(start - 1) == ' ';
  if (start < 0 || origin.substring(start) != wanted || !edge) return;
  fail('IN_USE', project + '/' + share + ' is a clone of it');
}});
pool();
"""
