#!/usr/bin/python3
"""Writes the property schemas of heat's resource types as data: one JSON file a family, into the folder given.

Run it where Debian's python3-heat 19.0.0 is installed:  dump.py OUTPUT-FOLDER
The files beside this script are its output; nothing in them is written by hand."""
import json, logging, os, sys, warnings
warnings.filterwarnings('ignore'); logging.disable(logging.CRITICAL)
folder = sys.argv[1]; sys.argv = sys.argv[:1]
from oslo_config import cfg
from heat.common import config, context, messaging
from heat.engine import environment, properties, resource, resources, stack, template
from heat.engine.resources import stack_resource
from heat.engine.resources.openstack.heat import none_resource
from heat.db.sqlalchemy import api, models
cfg.CONF([], project='heat', default_config_files=[])
cfg.CONF.set_override('connection', 'sqlite://', group='database')
cfg.CONF.set_default('region_name_for_services', 'RegionOne')
messaging.setup('fake://', optional=True)
models.BASE.metadata.create_all(api.get_engine())
resources.initialise()
resource.Resource.is_service_available = classmethod(lambda cls, context: (True, None))

def plain(x):
    if hasattr(x, 'items'): return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, set, frozenset)): return [plain(v) for v in x]
    return x if isinstance(x, (str, int, float, bool)) or x is None else str(x)

def support(status):
    d = {k: str(v) for k, v in (('status', status.status), ('version', status.version), ('message', status.message)) if v}
    if d.get('status') == 'SUPPORTED': del d['status']
    return d

def kept(**fields): return {k: v for k, v in fields.items() if v not in (None, False, {}, [])}

def prop(s):
    s = properties.Schema.from_legacy(s)
    d = kept(type=s.type, required=s.required, update_allowed=s.update_allowed, immutable=s.immutable,
             allow_conversion=s.allow_conversion, constraints=[plain(dict(c)) for c in s.constraints],
             description=s.description and str(s.description), support=support(s.support_status))
    if not s.implemented: d['implemented'] = False
    if s.default is not None: d['default'] = plain(s.default)
    if s.schema is not None: d['schema'] = {str(k): prop(v) for k, v in s.schema.items()}
    return d

def attr(a):
    return kept(type=a.type, description=a.description and str(a.description), support=support(a.support_status),
                cache='none' if a.cache_mode == 'cache_none' else None)

CONTEXT = context.RequestContext.from_dict({'tenant_id': 't', 'username': 'u', 'user_id': 'u', 'password': 'p', 'roles': [], 'is_admin': False,
                                            'auth_url': 'http://127.0.0.1:9/v3', 'auth_token': 't', 'region_name': 'RegionOne'})

def sample(name, cls):
    """A resource of the type before it is created, with just enough properties to exist."""
    needs = {'object_type': 'network'} if 'object_type' in cls.properties_schema else {}
    t = template.Template({'heat_template_version': '2021-04-16', 'resources': {'sample': {'type': name, 'properties': needs}}},
                          env=environment.Environment({}))
    s = stack.Stack(CONTEXT, 's', t, stack_id='0dd3a1ee-6c2e-4c5e-9d3f-0a0a0a0a0a0a')
    return s, s.resources['sample']

def described(name, cls):
    stk, r = sample(name, cls)     # (a resource holds its stack by a weak reference only)
    rules = [kept(rule=x.rule, path=x.translation_path, value=x.value, value_name=x.value_name, value_path=x.value_path, custom_value_path=x.custom_value_path)
             for x in (r.translation_rules(r.properties) or []) if x.rule != 'Resolve']
    names = [x.translation_path for x in (r.translation_rules(r.properties) or []) if x.rule == 'Resolve']
    handlers = [h for h in ('signal', 'suspend', 'resume', 'snapshot', 'check', 'restore') if callable(getattr(cls, 'handle_' + h, None))]
    return kept(description=cls.getdoc().split('\n')[0], support=support(cls.support_status), service=cls.default_client_name,
                properties={k: prop(s) for k, s in sorted(cls.properties_schema.items())},
                attributes={k: attr(a) for k, a in sorted(cls.attributes_schema.items())},
                update_policy={k: prop(s) for k, s in cls.update_policy_schema.items()},
                any_attribute=cls.get_attribute is not resource.Resource.get_attribute or cls.FnGetAtt is not resource.Resource.FnGetAtt,
                any_property=issubclass(cls, none_resource.NoneResource),
                nested=issubclass(cls, stack_resource.StackResource), snapshot=callable(getattr(cls, 'handle_snapshot_delete', None)),
                reference={'sample': None, None: 'none', 'None': 'none-text'}[r.FnGetRefId()], translation=rules, resolved=names, handlers=handlers)

families = {}
env = resources.global_env()
for name, info in sorted(env.registry._registry.items()):
    if isinstance(info, environment.ClassResourceInfo): d = described(name, info.value)
    elif isinstance(info, environment.TemplateResourceInfo):
        cls = info.get_class(files={})
        d = kept(template=info.template_name, properties={k: prop(s) for k, s in cls.properties_schema.items()}, attributes={k: attr(a) for k, a in cls.attributes_schema.items()})
    elif isinstance(info, environment.MapResourceInfo): d = {'alias': info.value}
    else: continue
    family = name.split('::')[1].lower() if '::' in name and not name.startswith('AWS') else 'aws' if name.startswith('AWS') else 'alias'
    if family not in ('aws', 'heat', 'neutron', 'nova', 'cinder', 'keystone', 'octavia'): family = 'other'
    families.setdefault(family, {})[name] = d
for family, types in families.items():
    with open(os.path.join(folder, family + '.json'), 'w') as f:
        f.write('{\n' + ',\n'.join('%s:%s' % (json.dumps(n), json.dumps(d, separators=(',', ':'))) for n, d in types.items()) + '\n}\n')
with open(os.path.join(folder, 'constraints.json'), 'w') as f:
    f.write(json.dumps(sorted(env.constraints), indent=0) + '\n')
